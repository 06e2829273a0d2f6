"""moto with the behaviour of AWS that the lab needs: states that take time, real devices, AWS's own refusals.

moto keeps the records; the lab makes them true. This package runs inside moto's server process, changes the parts of
moto that are too kind (`instances`, `launch`, `volumes`, `images`, `network`, `groups`, `metrics`, `catalog`, `console`), answers
in words for what moto does not have (`failures`), and serves the control API
(`control`) through which the lab reads the records and reports what its hosts have done.
"""
