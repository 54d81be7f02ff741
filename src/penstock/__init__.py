"""Penstock takes millions of records through LLM HTTP APIs: every limit kept, nothing lost."""

from penstock.api import arun as arun
from penstock.api import results as results
from penstock.api import run as run
from penstock.errors import EngineError as EngineError
from penstock.errors import InputError as InputError
from penstock.errors import Interrupted as Interrupted
from penstock.errors import JobError as JobError
from penstock.errors import LedgerError as LedgerError
from penstock.errors import LimitStopped as LimitStopped
from penstock.errors import OutputError as OutputError
from penstock.errors import PenstockError as PenstockError
from penstock.errors import ProviderStopped as ProviderStopped
from penstock.errors import RunDirectoryError as RunDirectoryError
from penstock.errors import RunLocked as RunLocked
from penstock.errors import TemplateError as TemplateError
from penstock.errors import UsageError as UsageError
from penstock.observe.report import Report as Report
from penstock.version import VERSION as __version__
