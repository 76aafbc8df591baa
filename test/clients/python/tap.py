"""Runs unittest's tests and prints TAP."""

import sys
import unittest


def name(test):
    """test_two_buyers -> two buyers"""
    method = getattr(test, "_testMethodName", str(test))
    suffix = getattr(test, "tap_suffix", "")
    return method[len("test_"):].replace("_", " ") + suffix


class TapResult(unittest.TestResult):
    def __init__(self, stream=None, descriptions=None, verbosity=None, **kwargs):
        super().__init__(sys.stdout, descriptions, verbosity)
        self.count = 0

    def line(self, word, test, comment="", directive=""):
        self.count += 1
        print(f"{word} {self.count} - {name(test)}{directive}")
        for text in comment.splitlines():
            print(f"#   {text}")
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, directive=f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line("not ok", test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line("not ok", test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.line("not ok", test, "".join(
                self._exc_info_to_string(err, test)))


def run(*cases):
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    result = TapResult()
    unittest.TestSuite(load(case) for case in cases).run(result)
    print(f"1..{result.count}")
    sys.exit(not result.wasSuccessful())
