"""What AWS does around the functions of template.yaml, on one machine: moto, a gateway, what polls queues and keeps schedules, an outside."""
