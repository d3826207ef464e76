"""What is stored on MongoDB for the lifecycle of jobs besides the jobs."""
