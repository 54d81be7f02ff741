"""The provider simulator: what demo, tests and capacity planning talk to instead of a provider."""

from penstock.simulator.process import SimulatorProcess, spawn
from penstock.simulator.server import Simulator, serve
from penstock.simulator.settings import Settings

__all__ = ["Settings", "Simulator", "SimulatorProcess", "serve", "spawn"]
