"""What goes out: schemas, errors, examples and the writing of bodies."""
