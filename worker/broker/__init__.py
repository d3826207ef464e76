"""The connections to Redis and RabbitMQ, and what Celery and kombu need mended for them."""
