"""For `twistd -ny smsgw.tac`, where an application file suits better than `twistd smsgw`.

The configuration file is the one that SMSGW_CONFIG names, else `smpp.toml` beside this file.
"""

import os
from pathlib import Path

from twisted.application.service import Application

from smsgw.tap import Options, makeService

options = Options()
options.parseOptions(["--config", os.environ.get("SMSGW_CONFIG", str(Path(__file__).with_name("smpp.toml")))])
application = Application("smsgw")
makeService(options).setServiceParent(application)
