"""How do scanners reach us: sockets, associations, and who has to wait?"""
