"""What `harken.database` is made with: transactions, prepared statements, and standbys.

In: statements, and the addresses of standbys. Out: SQL for a driver, and the database that a read
goes to. Front door: `harken.database`, whose transactions use both.
"""
