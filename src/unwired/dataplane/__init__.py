"""What makes the forwarding table true: eBPF maps and programs, or memory."""
