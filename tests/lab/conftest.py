from lab.fixtures import guest_image, libvirtd, make_guest, private_libvirtd

__all__ = ["guest_image", "libvirtd", "make_guest", "private_libvirtd"]
