import com.pixelmed.validate.DicomSRValidator;

/** Runs PixelMed's validator over many files in one virtual machine: compiling its rules takes longer than a file. */
class PixelMed {
    public static void main(String[] files) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        validator.setOptionMatchCaseOfCodeMeaning(true);
        validator.setOptionCheckTemplateID(true);
        validator.setOptionCheckAmbiguousTemplate(true);
        validator.setOptionCheckContentItemOrder(true);
        for (String file : files) {
            System.out.println("File: " + file);
            System.out.println(validator.validate(file));
        }
    }
}
