"""What runs inside a training job: `python -m headrace.training` is one worker of it.

Heavy imports (TensorFlow, MLflow) stand where they are used: a worker's start is most of a short job.
"""
