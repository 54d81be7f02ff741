"""The provider simulator: what demo, tests and capacity planning talk to instead of a provider."""

from penstock.simulator.process import SimulatorProcess, spawn
from penstock.simulator.server import Simulator, serve
from penstock.simulator.settings import TYPICAL, Settings

__all__ = ["TYPICAL", "Settings", "Simulator", "SimulatorProcess", "serve", "spawn"]
