"""Confluent's Python client beside leadstream: produces one event with the registry's schema, or reads predictions with it.

    pip install 'confluent-kafka[avro,schemaregistry]'
    python3 interop.py produce BOOTSTRAP REGISTRY LEAD EVENT_ID
    python3 interop.py consume BOOTSTRAP REGISTRY COUNT
"""
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def produce(servers, registry, lead, event_id):
    topic = "lead.interactions.v1"
    schema = registry.get_latest_version(f"{topic}-value").schema
    serialize = AvroSerializer(registry, schema, conf={"auto.register.schemas": False, "use.latest.version": True})
    event = {
        "event_id": event_id,
        "event_type": "message.received",
        "tenant_id": "acme",
        "lead_id": lead,
        "occurred_at": 1767225600000,
        "received_at": 1767225600000,
        "source_system": "python",
        "content": {"text": "Can we see it on Saturday?"},
    }
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    value = serialize(event, SerializationContext(topic, MessageField.VALUE))
    producer.produce(topic, key=f"acme:{lead}", value=value)
    assert producer.flush(30) == 0


def consume(servers, registry, count):
    topic = "lead.predictions.v1"
    deserialize = AvroDeserializer(registry)
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "interop", "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    )
    consumer.subscribe([topic])
    for _ in range(int(count)):
        message = consumer.poll(60)
        assert message is not None and message.error() is None, message and message.error()
        value = deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
        print(message.key().decode(), value["event_id"], value["conversion_likelihood"]["probability"])
    consumer.close()


if __name__ == "__main__":
    command, servers, url, *rest = sys.argv[1:]
    {"produce": produce, "consume": consume}[command](servers, SchemaRegistryClient({"url": url}), *rest)
