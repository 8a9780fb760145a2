declare module "dmn-js/lib/NavigatedViewer";
