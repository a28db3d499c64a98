"""The MySQL that some tests need."""

from mysql import mysql, mysql_socket

__all__ = ["mysql", "mysql_socket"]
