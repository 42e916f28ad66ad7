"""The LambdaAgent API: models, validation, names, and the CRD generated from them. Pure: no input or output."""
