"""Answers: schemas, errors, examples, and the serialisation of bodies."""
