"""How the extension changes moto: one decorator, so that every change is found by its `@around`."""

import functools


def around(owner, name):
    """Put the decorated function in the place of `owner.name`.

    The function gets the original as its first argument and decides whether to call it.
    A name that `owner` does not have is an error, so that an update of moto cannot silently undo a rule.
    """
    original = getattr(owner, name)

    def decorate(function):
        @functools.wraps(original)
        def wrapper(*args, **kwargs):
            return function(original, *args, **kwargs)

        setattr(owner, name, wrapper)
        return function

    return decorate
