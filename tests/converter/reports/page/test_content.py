from __future__ import annotations

from snnconvert.converter.reports.page.content import degree_of, figures_of, table_of
from snnconvert.converter.spikes.degree import DEGREES


def test_every_degree_has_a_sentence(exact, spiking):
    from dataclasses import replace

    said = {degree_of(exact)}
    for degree in DEGREES[1:]:
        said.add(degree_of(replace(spiking, spiking=replace(spiking.spiking, degree=degree))))
    assert {word for word, _ in said} == set(DEGREES) and all(text for _, text in said)


def test_the_numbers_that_come_first(exact, spiking):
    assert [figure.name for figure in figures_of(exact)] == ["worst relative error"]
    names = [figure.name for figure in figures_of(spiking)]
    assert names[:4] == ["agreement", "accuracy", "relative error", "spikes per value"]
    assert names[-1] == "error without spikes"
    accuracy = figures_of(spiking)[1]
    assert accuracy.beside == f"source {spiking.spiking.source_accuracy:.2%}"


def test_a_row_for_each_node(exact, spiking):
    header, rows = table_of(exact)
    assert header == ("#", "path", "kind", "error", "rule", "becomes")
    assert [row.name for row in rows] == [node.name for node in exact.nodes]
    header, rows = table_of(spiking)
    assert {len(row.cells) for row in rows} == {len(header)} == {9}
    found = {row.name: dict(zip(header, row.cells, strict=True)) for row in rows}
    (layer,) = (x for x in spiking.spiking.layers if x.place.endswith("'fc1'"))
    cells = found[layer.name]
    assert cells["with spikes"].number == layer.rel_error
    assert cells["added"].number == layer.added
    assert cells["path"].said == "fc1" and cells["becomes"].said == "neurons: operand"
    (site,) = (x for x in spiking.spiking.sites if x.name == "fc1.input_neuron")
    assert cells["spikes per value"].number == site.rate * 3
    assert found["gelu"]["with spikes"].said == "-"
