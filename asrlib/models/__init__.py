"""The networks of the course, as Keras models built from small frozen configurations.

Five families, from the simplest to the course's own. **Softmax regression** weighs every number of the window
on its own. The **article's network** lets small kernels slide along time first. A **CNN** looks at small
patches of the log-mel picture and answers "is this edge, this bar, this burst here?" wherever in the picture
it stands. An **RNN** walks through time and keeps in mind in which *order* things came: without order, "six"
and "sick" would be the same bag of sounds. A **CRNN** is these two ideas in a row.

These answer once for each clip. The network of :func:`ctc` answers at every step, which is what a text of any
length needs.

The configurations and the arithmetic about shapes need no TensorFlow; only building a network imports it.
"""

from asrlib.models.builders import (
    BATCH_NORM_EPSILON,
    article_cnn,
    build,
    cnn,
    crnn,
    import_keras,
    rnn,
    softmax_regression,
)
from asrlib.models.configs import (
    CELLS,
    CNN_HEADS,
    FAMILIES,
    HEADS,
    RNN_HEADS,
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    CtcConfig,
    ModelConfig,
    RnnConfig,
    SoftmaxConfig,
    config_from_dict,
    member_names,
)
from asrlib.models.ctc import ctc, n_steps, set_input_statistics
from asrlib.models.description import Description, LayerRow, describe
from asrlib.models.layers import count_parameters, weight_shapes
from asrlib.models.weights import check_weights, get_weights, set_weights

__all__ = [
    "BATCH_NORM_EPSILON",
    "CELLS",
    "CNN_HEADS",
    "FAMILIES",
    "HEADS",
    "RNN_HEADS",
    "ArticleCnnConfig",
    "CnnConfig",
    "CrnnConfig",
    "CtcConfig",
    "Description",
    "LayerRow",
    "ModelConfig",
    "RnnConfig",
    "SoftmaxConfig",
    "article_cnn",
    "build",
    "check_weights",
    "cnn",
    "config_from_dict",
    "count_parameters",
    "crnn",
    "ctc",
    "describe",
    "get_weights",
    "import_keras",
    "member_names",
    "n_steps",
    "rnn",
    "set_input_statistics",
    "set_weights",
    "softmax_regression",
    "weight_shapes",
]
