"""Service files and the node's own file: found, read and checked. Editing them is next door, in ``edit``."""

from vmsvc.core.config.files import read_text, service_file, service_files, service_names
from vmsvc.core.config.guests import Claims, identity
from vmsvc.core.config.load import as_seen_by, load_service, parse_service
from vmsvc.core.config.node_file import read_node
from vmsvc.core.config.references import literally
from vmsvc.core.config.schema import Catalog

__all__ = [
    "Catalog",
    "Claims",
    "as_seen_by",
    "identity",
    "literally",
    "load_service",
    "parse_service",
    "read_node",
    "read_text",
    "service_file",
    "service_files",
    "service_names",
]
