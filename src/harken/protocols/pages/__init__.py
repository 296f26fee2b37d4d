"""What people see in a browser: pages made on the server, with small scripts of our own."""
