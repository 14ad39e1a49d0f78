"""The core: services, resources, status, plans and safety; it knows no hypervisor and no plugin."""
