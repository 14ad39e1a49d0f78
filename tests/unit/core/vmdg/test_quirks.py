"""The table of arrays that differ."""

from vmsvc.core.vmdg.quirks import NONE, Quirks, quirks_of


def test_a_disk_that_nobody_knows_does_as_the_standard_says():
    assert quirks_of("LIO-ORG", "FILEIO") == NONE


def test_a_row_fits_by_the_whole_vendor_and_the_beginning_of_the_product():
    assert quirks_of("3PARdata", "VV").per_initiator
    assert quirks_of("VMware  ", "Virtual disk    ").abort is False
    assert quirks_of("VMware-like", "Virtual disk") == NONE


def test_rows_of_plugins_come_first():
    mine = Quirks(vendor="VMware", product="Virtual", one_at_a_time=True)

    assert quirks_of("VMware", "Virtual disk", [mine, Quirks(vendor="VMware", abort=False)]) == mine
