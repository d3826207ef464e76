"""From the submission of a job to its removal, apart from the export itself."""
