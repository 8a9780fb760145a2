"""AMQP 1.0: what brokers of JMS, Azure Service Bus and newer RabbitMQ speak."""
