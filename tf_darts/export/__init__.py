"""A trained network as files that need no tf_darts: Keras, SavedModel, TFLite."""

INT8 = "tflite_int8"  # needs training images, by which it is quantised

# The file, or the folder, of each format; `formats.WRITERS` writes them. Without TensorFlow.
FILES = {
    "keras": "model.keras",
    "saved_model": "saved_model",
    "tflite": "model.tflite",
    INT8: "model_int8.tflite",
}
