"""What tests are made of; the folders beside this one have the tests."""
