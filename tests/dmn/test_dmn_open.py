"""Decisions called by processes see all variables, declared as inputs or not (as Zeebe's do); by the standard alone they don't."""

from flowledger.kernel import dmn

XML = b"""<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="d" name="d" namespace="urn:t">
<decision id="price" name="Price"><decisionTable hitPolicy="UNIQUE"><input id="i"><inputExpression typeRef="number"><text>amount</text></inputExpression></input>
<output id="o" name="price"/><rule id="r1"><inputEntry><text>&gt; 10</text></inputEntry><outputEntry><text>amount * 2</text></outputEntry></rule>
<rule id="r2"><inputEntry><text>&lt;= 10</text></inputEntry><outputEntry><text>1</text></outputEntry></rule></decisionTable></decision></definitions>"""


def test_a_process_variable_that_no_input_declares_is_seen():
    model = dmn.read(XML)
    assert model.evaluate("price", {"amount": 12}, replace_decisions=False).value == 24
    assert model.evaluate("price", {"amount": 2}, replace_decisions=False).value == 1


def test_by_the_standard_it_is_not():
    assert dmn.read(XML).evaluate("price", {"amount": 12}).value is None
