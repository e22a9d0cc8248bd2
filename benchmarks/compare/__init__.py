"""``casino bench compare``: the casino beside other servers and beside its own parts, in one table.

Owns the order of the measurements, the ratios, and what a reader is told of them. What another server is
is ``baselines``'; what is measured of one server alone is ``measures``' and ``scenarios``'.
"""
