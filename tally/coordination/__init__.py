"""Who is alive and which version is current: keys, leases and watches."""
