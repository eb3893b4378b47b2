"""Virtual clusters: namespaces, libvirt, snapshots, guests."""
