"""OpenSSH's files and programs: its client's configuration, known_hosts, certificates, agent."""
