"""What everybody talks about: statuses, errors, records, settings and the options of a job."""
