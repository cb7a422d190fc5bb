"""Filter the lock: remove torch and the packages that only its CUDA build needs."""

import re
import sys

# An entry is a name at the start of a line and the indented lines that follow it.
for entry in re.split(r"(?m)^(?=\S)", sys.stdin.read()):
    if not re.match(r"(torch|torchvision|triton|nvidia-[\w-]+|cuda-[\w-]+)==", entry):
        sys.stdout.write(entry)
