from tf_darts.genotypes.published import PUBLISHED
from tf_darts.plots.table import NetworkRow, comparison_table

SHORT = NetworkRow("magnitude", "|skip_connect~0|+|none~0|none~1|", 73_306, 0.5)
OTHER = NetworkRow("perturbation", "|nor_conv_3x3~0|+|none~0|none~1|", 1_531_546, 0.912345)


def test_short_genotypes_have_a_column():
    assert comparison_table([SHORT, OTHER]).splitlines() == [
        "selection method  parameters  test accuracy  genotype",
        "----------------  ----------  -------------  --------------------------------",
        "magnitude             73,306        50.00 %  |skip_connect~0|+|none~0|none~1|",
        "perturbation       1,531,546        91.23 %  |nor_conv_3x3~0|+|none~0|none~1|",
    ]


def test_long_genotypes_stand_under_their_row_and_can_be_copied():
    text = PUBLISHED["darts_pt_s5_0"].to_text()
    lines = comparison_table([NetworkRow("perturbation", text, 2_851_246, 0.9739), SHORT]).splitlines()
    assert lines[0] == "selection method  parameters  test accuracy"
    assert lines[2] == "perturbation       2,851,246        97.39 %"
    end = next(i for i, line in enumerate(lines) if line.startswith("magnitude"))
    assert " ".join(line.strip() for line in lines[3:end]) == text
    assert all(line.startswith("    ") for line in lines[3:end])
    # Never inside a pair.
    assert all(line.count("('") == line.count("',") for line in lines[3:end])
    assert lines[end:] == ["magnitude             73,306        50.00 %", "    " + SHORT.genotype]
    assert max(map(len, lines)) <= 100


def test_true_accuracies_have_columns_where_one_is_known():
    of_cells = [
        NetworkRow("magnitude", "|a~0|", 10, 0.5, 93.91, 1068),
        NetworkRow("mean", "", None, None, 87.1),
    ]
    assert comparison_table(of_cells, width=70).splitlines() == [
        "selection method  parameters  test accuracy  CIFAR-10, true   rank",
        "----------------  ----------  -------------  --------------  -----",
        "magnitude                 10        50.00 %         93.91 %  1,068",
        "    |a~0|",
        "mean                       -              -         87.10 %      -",
    ]


def test_width_decides():
    assert "genotype" in comparison_table([SHORT], width=79).splitlines()[0]
    assert "genotype" not in comparison_table([SHORT], width=76).splitlines()[0]


def test_unknown_numbers_are_dashes():
    line = comparison_table([NetworkRow("magnitude", "|a~0|", None, None)]).splitlines()[2]
    assert line.split() == ["magnitude", "-", "-", "|a~0|"]


def test_no_rows():
    assert len(comparison_table([]).splitlines()) == 2


def test_columns_grow_with_their_content():
    head, _, row = comparison_table([NetworkRow("m" * 30, "|a~0|", 10**12, 1.0)]).splitlines()
    assert row == "m" * 30 + "  1,000,000,000,000       100.00 %  |a~0|"
    assert head.index("genotype") == row.index("|a~0|")


def test_what_networks_took_stands_beside_them_where_rivals_are_among_them():
    rows = [
        NetworkRow("perturbation", "", 56_653, 0.7435, images=1_234_567, cpu_seconds=187.4),
        NetworkRow("residual_network", "", 55_950, 0.75, images=None, cpu_seconds=None, rival=True),
    ]
    assert comparison_table(rows).splitlines() == [
        "selection method  parameters  test accuracy  images seen  CPU s  genotype",
        "----------------  ----------  -------------  -----------  -----  --------",
        "perturbation          56,653        74.35 %    1,234,567    187",
        "residual_network      55,950        75.00 %            -      -",
    ]
    assert "images seen" not in comparison_table(rows[:1])
