"""What a network on spikes leaves in floats."""

from __future__ import annotations


def see_that_tables_alone_are_left(snn):
    """See that nothing is in floats but functions that neurons follow without a table."""
    report, sites = snn.report, snn.conversion.sited.sites.values()
    without = {s.target.name for s in sites if s.target.layout and not s.settings.table_error}
    assert report.spiking.degree == ("maps" if without else "all"), report.notes
    assert set(report.spiking.analog) == without
    notes = [note for note in report.notes if "in floats" in note or "not on spikes" in note]
    assert len(notes) == len(without)
    assert all(any(f" {n} in floats, as no table" in note for note in notes) for n in without)
