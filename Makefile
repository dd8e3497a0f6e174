# Short names for make.py, which does the work and needs nothing but Python: `make test` is `python3 make.py test`.
# Arguments go in ARGS: make test ARGS="-k ranking". Another interpreter: make test PYTHON=python3.13

PYTHON ?= python3

.PHONY: demo test lint bench docs

demo test lint bench docs:
	@$(PYTHON) make.py $@ $(ARGS)
