"""The backend on a PostgreSQL server: many processes, many machines; PgQueuer delivers the jobs."""
