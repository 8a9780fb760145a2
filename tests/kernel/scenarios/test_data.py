"""Data objects, stores, associations with transformation and assignment, input and output sets (BPMN 10.4)."""

from scenario import play

STORE = '^<dataStore id="ds" name="stock"/>\n~<dataStoreReference id="dsr" dataStoreRef="ds"/>\n'
OBJECTS = '~<dataObject id="o1" name="order"/>\n~<dataObjectReference id="or1" dataObjectRef="o1"/>\n'
FLOW = "startEvent s\nendEvent e\n"


def spec(inputs=(), outputs=(), sets="", out_sets=""):
    return (
        ".<ioSpecification>"
        + "".join(f'<dataInput id="{n}" name="{n}"/>' for n in inputs)
        + "".join(f'<dataOutput id="{n}" name="{n}"/>' for n in outputs)
        + (sets or "<inputSet/>")
        + (out_sets or "<outputSet/>")
        + "</ioSpecification>\n"
    )


def into(source, target, inner=""):
    return f".<dataInputAssociation><sourceRef>{source}</sourceRef><targetRef>{target}</targetRef>{inner}</dataInputAssociation>\n"


def out(source, target, inner=""):
    return f".<dataOutputAssociation><sourceRef>{source}</sourceRef><targetRef>{target}</targetRef>{inner}</dataOutputAssociation>\n"


def test_objects_are_copied_in_and_out():
    model = FLOW + OBJECTS + "serviceTask a\n" + spec(["given"], ["made"]) + into("or1", "given") + out("made", "or1") + "s > a > e"
    s = play(model, "", "p", order=5)
    assert s.i.tokens[s.token("a")].vars == {"given": 5}
    s.move("complete a made=6")
    assert s.vars["order"] == 6 and s.empty


def test_transformation_and_assignment():
    inner = "<transformation>order.amount * 2</transformation>"
    assigned = "<assignment><from>made + 1</from><to>or1.amount</to></assignment>"
    model = (
        FLOW
        + OBJECTS
        + "serviceTask a\n"
        + spec(["given"], ["made"])
        + into("or1", "given", inner)
        + out("made", "or1", assigned)
        + "s > a > e"
    )
    s = play(model, "", "p", order={"amount": 4, "id": 1})
    assert s.i.tokens[s.token("a")].vars == {"given": 8}
    s.move("complete a made=1")
    assert s.vars["order"] == {"amount": 2, "id": 1}


def test_a_data_store_outlives_the_instance():
    writer = FLOW + STORE + "serviceTask a\n" + spec([], ["made"]) + out("made", "dsr") + "s > a > e"
    reader = (
        "process q {\nstartEvent s\nserviceTask b\n"
        + spec(["given"])
        + into("dsr2", "given")
        + "endEvent e\ns > b > e\n"
        + ('~<dataStoreReference id="dsr2" dataStoreRef="ds2"/>\n^<dataStore id="ds2" name="stock"/>\n}')
    )
    s = play([writer, reader], "complete a made=3")
    assert "store stock" in s.words and s.empty
    s.start("q")
    assert s.i.tokens[s.token("b")].vars == {"given": 3}


def test_the_first_available_set_is_taken():
    sets = "<inputSet><dataInputRefs>x</dataInputRefs></inputSet><inputSet><dataInputRefs>y</dataInputRefs></inputSet>"
    objects = OBJECTS + '~<dataObject id="o2" name="other"/>\n~<dataObjectReference id="or2" dataObjectRef="o2"/>\n'
    model = FLOW + objects + "serviceTask a\n" + spec(["x", "y"], sets=sets) + into("or1", "x") + into("or2", "y") + "s > a > e"
    s = play(model, "", "p", other=2)
    assert s.i.tokens[s.token("a")].vars == {"y": 2}
    s = play(model, "", "p", other=2, order=1)
    assert s.i.tokens[s.token("a")].vars == {"x": 1}


def test_output_sets():
    sets = "<outputSet><dataOutputRefs>x</dataOutputRefs></outputSet><outputSet><dataOutputRefs>y</dataOutputRefs></outputSet>"
    model = FLOW + OBJECTS + "serviceTask a\n" + spec([], ["x", "y"], out_sets=sets) + out("x", "or1") + out("y", "or1") + "s > a > e"
    assert play(model, "complete a y=2").vars["order"] == 2
    assert play(model, "complete a x=1 y=2").vars["order"] == 1


def test_a_payload_goes_to_a_data_object_and_back():
    catch = (
        FLOW + OBJECTS + "intermediateCatchEvent w : signal S\n" + '.<dataOutput id="got" name="got"/>\n' + out("got", "or1") + "s > w > e"
    )
    assert play(catch, "signal S got=4").vars["order"] == 4


def test_a_loop_over_a_data_object():
    loop = (
        ".<multiInstanceLoopCharacteristics><loopDataInputRef>given</loopDataInputRef><loopDataOutputRef>made</loopDataOutputRef>"
        '<inputDataItem id="item" name="item"/><outputDataItem id="result" name="result"/></multiInstanceLoopCharacteristics>\n'
    )
    model = (
        FLOW
        + OBJECTS
        + "~<dataObject id='o3' name='results' isCollection='true'/>\n~<dataObjectReference id='or3' dataObjectRef='o3'/>\n"
        + ("serviceTask a\n" + spec(["given"], ["made"]) + into("or1", "given") + out("made", "or3") + loop + "s > a > e")
    )
    s = play(model, "", "p", order=[7, 8])
    assert sorted(t.vars["item"] for t in s.i.tokens.values() if t.index) == [7, 8]
    s.moves("complete a result=1", "complete a result=2")
    assert s.vars["results"] == [1, 2] and s.empty


def test_data_in_a_sub_process_in_a_loop():
    inner = (
        "startEvent i\nserviceTask a\n" + spec(["given"], ["made"]) + into("or1", "given") + out("made", "or1") + "endEvent q\ni > a > q\n"
    )
    model = FLOW + OBJECTS + "subProcess sp {\n" + inner + '}\n.<standardLoopCharacteristics loopMaximum="2"/>\ns > sp > e'
    s = play(model, "complete a made=1; complete a made=2", "p", order=0)
    assert s.vars["order"] == 2 and s.empty


def test_an_association_with_nothing_is_told():
    from notation import bpmn

    from flowledger.kernel.model import bpmn as reader

    _, findings = reader.read(bpmn(FLOW + "serviceTask a\n" + into("nix", "nix2") + "s > a > e").encode(), "m.bpmn")
    assert {"DATA_SOURCE_MISSING", "DATA_TARGET_MISSING"} <= {f.code for f in findings}
