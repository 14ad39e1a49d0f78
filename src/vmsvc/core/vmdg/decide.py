"""What is to be done to a disk, or to a set of disks, from what they show. Pure."""
