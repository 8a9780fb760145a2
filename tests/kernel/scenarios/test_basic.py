from scenario import play

M = """
startEvent s
serviceTask a
endEvent e
s > a > e
"""


def test_a():
    s = play(M, "complete a x=1")
    assert s.line == "+s s>a [a a] a>e done"
    assert s.empty
