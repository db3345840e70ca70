"""The name by which staff sessions remember who let them in.

Django writes the backend's path into each session and ends a session whose path is not in
AUTHENTICATION_BACKENDS. So the path stays what it was before `cinema.people` had it.
"""

from cinema.people.lockouts import Backend

__all__ = ["Backend"]
