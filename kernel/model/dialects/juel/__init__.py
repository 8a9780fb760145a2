"""JUEL: the expressions of Camunda 7, Flowable and Activiti, `${...}` and `#{...}`, with their own meaning.

Source: Unified Expression Language 2.2 (JSR 245 MR), chapters 1.2 to 1.9 and 1.19 (grammar). `parse` reads, `compile_template` makes what runs,
`to_feel` says the same in FEEL where FEEL can (for conversion).
"""

from flowledger.kernel.model.dialects.juel.evaluate import Compiled, compile_template
from flowledger.kernel.model.dialects.juel.parser import JuelError, Template, parse
from flowledger.kernel.model.dialects.juel.translate import Untranslatable, template_to_feel

__all__ = ["Compiled", "JuelError", "Template", "Untranslatable", "compile_template", "parse", "template_to_feel"]
