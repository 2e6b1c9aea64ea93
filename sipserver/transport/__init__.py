"""The asyncio shell around the SIP core: sockets, timers, nothing else."""
