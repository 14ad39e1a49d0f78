"""What was collected of services: compared with what was known, stored, and published."""
