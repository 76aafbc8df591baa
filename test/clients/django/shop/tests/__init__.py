import unittest

import django
import psycopg2
from django.test.runner import DiscoverRunner

import tap


class TapRunner(DiscoverRunner):
    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "verbosity": 0, "interactive": False})

    def run_suite(self, suite, **kwargs):
        print(f"# version: Django {django.get_version()},"
              f" psycopg2 {psycopg2.__version__.split()[0]}")
        result = tap.TapResult()
        unittest.registerResult(result)
        suite.run(result)
        print(f"1..{result.count}")
        return result
