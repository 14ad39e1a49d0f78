"""What drivers can tell of guests beyond their state: facts, disks, definitions, and which guests have no service."""
