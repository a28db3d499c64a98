"""The Python that has the dependencies: this one if it does, else one built for it. Standard library only.

requirements  what pyproject.toml asks for, and what an interpreter lacks of it
place         where environments are kept, and which one belongs to this Python and this pyproject.toml
build         one built under a lock, aside, and renamed into place
fault         what can go wrong: the cause in plain words and the command to run by hand
enter         going on in it
look          what is there, for `dpe doctor`
"""

from data_platform.environment.enter import Ready, enter, run_tests, set_up
from data_platform.environment.fault import Fault
from data_platform.environment.look import State, look
from data_platform.environment.place import home

__all__ = ["Fault", "Ready", "State", "enter", "home", "look", "run_tests", "set_up"]
