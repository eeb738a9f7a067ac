"""Train the example models and write them into ``models/``: ``python -m training [folder]``.

Each example is one file here and one folder there, made from data that scikit-learn ships, so nothing is downloaded:

* ``iris.py``: a table row in, a species out; exported by skl2onnx with its default ZipMap output (a list of dicts).
* ``digits.py``: an 8x8 image in, a digit out; plain tensors with a named batch dimension.

Every run writes the same three files for each, byte for byte the same with the same versions of the libraries:
``<name>/1/model.onnx``, ``<name>/model.toml`` (edit it here, not there) and ``<name>/golden.json``, a few requests with
the answers of scikit-learn itself. Before anything is written, ONNX Runtime answers the whole data set, and the run
stops if one label differs from scikit-learn's or one probability by more than 1e-5.

A test may fit ``training.iris.estimator()`` again and compare a served model with it: the fit takes less than a second
and does not depend on the machine beyond rounding. How each estimator achieves that is said beside it.
"""
